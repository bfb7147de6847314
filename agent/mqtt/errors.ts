import { ShardkeepError } from "../runtime/errors.ts";

export class MqttError extends ShardkeepError<"NOT_CONNECTED" | "BROKER_REFUSED" | "RIGHTS_REFUSED" | "BROKER_URL_INVALID" | "LISTEN_FAILED"> {}
