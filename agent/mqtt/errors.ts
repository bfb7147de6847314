import { ShardkeepError } from "../runtime/errors.ts";

export type MqttCode =
  | "NOT_CONNECTED" | "BROKER_URL_INVALID" | "BROKER_UNREACHABLE" | "BROKER_UNTRUSTED" | "BROKER_REFUSED" | "BROKER_BUSY"
  | "CERTIFICATE_REFUSED" | "TLS_INVALID" | "RIGHTS_REFUSED" | "LISTEN_FAILED" | "PACKET_TOO_LARGE" | "CONSUMER_TOO_SLOW" | "NAME_INVALID";

export class MqttError extends ShardkeepError<MqttCode> {}

/** CONNACK return codes (MQTT 3.1.1 §3.2.2.3). */
const connackRemedies: Readonly<Record<number, string>> = {
  1: "the broker must speak MQTT 3.1.1",
  2: "the client id must be the certificate's name; a client adds `.` and 8 hex digits",
  3: "the broker is not ready; look at its log",
  4: "the certificate's name must be in the site record and the broker's ACL",
  5: "the certificate's name must be in the site record and the broker's ACL",
};

/** What ended a connection, from what mqtt.js or TLS says, with what to do about it. */
export function connectionError(cause: Error, { url, clientId }: { readonly url: string; readonly clientId: string }): MqttError {
  const code: unknown = "code" in cause ? cause.code : undefined;
  const retryable = true;
  if (typeof code === "number") {
    const remedy = connackRemedies[code] ?? "the broker's log says why";
    return new MqttError("BROKER_REFUSED", `${url} refuses ${clientId}: ${cause.message}`, { cause, retryable, remedy });
  }
  if (typeof code === "string" && code.startsWith("ERR_SSL_") && code.includes("ALERT")) {
    return new MqttError("CERTIFICATE_REFUSED", `${url} refuses the certificate of ${clientId}: ${code}`, {
      cause, retryable, remedy: "the certificate must be issued by this site's TLS authority: join again with `shardkeep box request`",
    });
  }
  if (typeof code === "string" && /CERT|SELF_SIGNED|VERIFY|ISSUER/.test(code)) {
    return new MqttError("BROKER_UNTRUSTED", `${url} does not prove to be this site's broker: ${code}`, {
      cause, retryable, remedy: "check the address, and that the broker's certificate is of this site's TLS authority and names that address",
    });
  }
  return new MqttError("BROKER_UNREACHABLE", `cannot reach ${url}: ${cause.message}`, { cause, retryable, remedy: "check that the broker runs, its address, and the network" });
}

/** CONNACK 3, server unavailable: the one refusal that passes by itself. */
const notReady = 3;

/** Whether the broker has said no, so that asking again with the same name and certificate is no use until somebody changes something. */
export function isRefusal({ code, cause }: MqttError): boolean {
  return code === "CERTIFICATE_REFUSED" || (code === "BROKER_REFUSED" && !(cause instanceof Error && "code" in cause && cause.code === notReady));
}
