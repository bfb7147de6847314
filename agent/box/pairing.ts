import type { SensorStatus } from "../../firmware-bridge/client.ts";
import type { BoxParts } from "./parts.ts";

/**
 * A sensor that no box has is paired with this one as long as the site record is unsealed: that is the
 * time of provisioning. From the seal on a sensor without our pairing is a foreign one, whoever plugged it in.
 */
export async function pairWhileUnsealed({ bridge, records, log }: Pick<BoxParts, "bridge" | "records" | "log">, { state }: Pick<SensorStatus, "state">): Promise<void> {
  if (state !== "unpaired") return;
  if (records.current.body.sealed) {
    log.error("sensor is not paired", { remedy: "put back the sensor that was enrolled; a new one comes in with a change of the site record" });
    return;
  }
  try {
    await bridge.pair();
    log.info("sensor paired");
  } catch (error) {
    log.error("sensor not paired", { error: String(error) });
  }
}
