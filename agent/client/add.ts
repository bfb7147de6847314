import type { Client } from "./client.ts";
import { acceptClient, admitClient, requestClient, type ClientEntry } from "./file-pair.ts";

export interface NewClient {
  readonly id: string;
  /** For whom it asks; undefined for a service. */
  readonly person: string | undefined;
  /** Where its keys are made; they never leave it. */
  readonly folder: string;
}

/**
 * Makes a client on the administrator's own machine: request, entry in the site record and answer in one; gives the path
 * of its client.yaml. Cut off in the middle, the same call goes on. Throws CLIENT_EXISTS.
 */
export async function addClient(
  admin: Pick<Client, "request" | "config">, { id, person, folder }: NewClient, enter: (entry: ClientEntry) => Promise<unknown> = () => Promise.resolve(),
): Promise<string> {
  const request = await requestClient(folder, admin.config.site, id);
  return acceptClient(folder, await admitClient(admin, request, person, enter));
}
