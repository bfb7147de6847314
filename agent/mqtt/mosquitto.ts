import { mostMessageBytes } from "../protocol/envelope.ts";
import { MqttError } from "./errors.ts";

export interface MosquittoOptions {
  /** Address that both listeners bind. */
  readonly host: string;
  /** For boxes and the coordinator: the client id is the certificate's name. */
  readonly boxPort: number;
  /** For clients, several connections of one identity side by side. */
  readonly clientPort: number;
  /** The coordinator's id. */
  readonly coordinator: string;
  /** Absolute paths; the user that Mosquitto runs as must be able to read them. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly acl: string;
}

/** The files are line-based: a line break or a blank in the wrong place would say something else. */
function checked(text: string, shape: RegExp, remedy: string): string {
  if (shape.test(text)) return text;
  throw new MqttError("NAME_INVALID", `${JSON.stringify(text)} cannot stand in Mosquitto's configuration`, { remedy });
}
const path = (text: string): string => checked(text, /^\/[^\r\n]*\S$/, "give an absolute path without line breaks");
const address = (text: string): string => checked(text, /^[A-Za-z0-9.:-]+$/, "give a host name or an address");
const name = (text: string): string => checked(text, /^[a-z0-9-]{1,32}$/, "ids are 1 to 32 of a-z, 0-9 and -");

function listener(port: number, { host, ca, cert, key, acl }: MosquittoOptions): string {
  return `listener ${port} ${address(host)}
cafile ${path(ca)}
certfile ${path(cert)}
keyfile ${path(key)}
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file ${path(acl)}
`;
}

/** Mosquitto 2.0's configuration for a site; a fragment for conf.d or a whole file. */
export function mosquittoConfig(options: MosquittoOptions): string {
  return `# Mosquitto 2.0 for a Shardkeep site. Mutual TLS; rights by the certificate's name.
per_listener_settings true
# Nagle costs 44 ms a message on each side.
set_tcp_nodelay true
# Nobody relies on anything retained, and nothing is queued for somebody who is away.
persistence false
queue_qos0_messages false
max_queued_messages 1000
max_queued_bytes 4194304
message_size_limit ${mostMessageBytes}
max_packet_size ${mostMessageBytes + 1024}

# Boxes and the coordinator. The client id is the certificate's name: one connection an identity, the new
# one takes over, and none can take another's id.
${listener(options.boxPort, options)}use_username_as_clientid true

# Clients. Here a client chooses its id, so that its commands run side by side. Mosquitto lets it choose a
# box's too, and cuts that box off until it comes back; no message is read or written by it. Open this port
# only to those who need it.
${listener(options.clientPort, options)}`;
}

/**
 * The ACL of design §5. Mosquitto grants every SUBSCRIBE; it judges by this what is delivered. Lines that
 * hold for everybody must be patterns, and it warns that two of them name nobody. The certificates of who has retired
 * stay valid for ever: they are denied by name.
 */
export function mosquittoAcl({ coordinator, retired = [] }: Pick<MosquittoOptions, "coordinator"> & { readonly retired?: readonly string[] }): string {
  // What a user is denied comes before every pattern; Mosquitto reads the file again on SIGHUP, also for who is connected.
  const out = retired.map((one) => `\nuser ${name(one)}\ntopic deny #\n`).join("");
  return `pattern write shardkeep/v1/box/%u/up/+
pattern read shardkeep/v1/box/%u/down/+
pattern write shardkeep/v1/client/%u/up/+
pattern read shardkeep/v1/client/%u/down/+
pattern read shardkeep/v1/coordinator/+
pattern read shardkeep/v1/site/+

user ${name(coordinator)}
topic read shardkeep/v1/box/+/up/+
topic write shardkeep/v1/box/+/down/+
topic read shardkeep/v1/client/+/up/+
topic write shardkeep/v1/client/+/down/+
topic write shardkeep/v1/coordinator/+
topic write shardkeep/v1/site/+
${out}`;
}
