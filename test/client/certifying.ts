import type { Client } from "../../agent/client/client.ts";
import { createTlsAuthority, issueCertificate } from "../../agent/mqtt/tls.ts";
import { toBase64url } from "../../agent/runtime/encoding.ts";

/** An administrator whose coordinator certifies whatever it is asked to; `said` is what it was asked. */
export async function certifying(site: string) {
  const authority = await createTlsAuthority(site);
  const said: (readonly [string, { readonly id: string; readonly tlsKey: string }])[] = [];
  const request = async (name: string, data: { id: string; tlsKey: string }): Promise<{ certificate: string; ca: string }> => {
    said.push([name, data]);
    return { certificate: await issueCertificate(authority, data.id, data.tlsKey), ca: authority.certificate };
  };
  const config = { site, broker: "mqtts://x:1", coordinator: "coordinator", authority: toBase64url(new Uint8Array(65).fill(4)) };
  return { said, admin: { config, request } as unknown as Pick<Client, "request" | "config"> };
}
