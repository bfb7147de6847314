import { z } from "zod";
import { evidence } from "./evidence.ts";
import { approvalFields } from "./request.ts";

/** What people approved, word for word, and their evidence for it: whoever keeps it can prove the approval later. */
export const approval = z.strictObject({ fields: approvalFields, evidence: z.array(evidence).max(16) });
export type Approval = z.infer<typeof approval>;
