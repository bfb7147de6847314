import { invitationContext } from "../protocol/invitation.ts";
import { generateRecipient, open } from "../protocol/seal.ts";
import { bytesOf, toBase64url } from "../runtime/encoding.ts";
import type { Client } from "./client.ts";

/** A code by which `box` may join over the network within `forMs`; sealed to this process, for the broker is not to read it. */
export async function inviteBox(client: Pick<Client, "request" | "site">, box: string, forMs: number): Promise<string> {
  const recipient = generateRecipient();
  try {
    const { code } = await client.request("box-invite", { box, forMs, recipient: toBase64url(recipient.publicKey) });
    return new TextDecoder().decode(open(recipient, bytesOf(code.enc), invitationContext(client.site, box), new Uint8Array(0), bytesOf(code.ct)));
  } finally {
    recipient.destroy();
  }
}
