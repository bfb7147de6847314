import type { SensorStatus } from "../../firmware-bridge/client.ts";
import type { BoxParts } from "./parts.ts";

/**
 * A sensor that no box has is paired with this one as long as the site record names no finger at this box: while the site
 * is made, and for a box that joins later (docs/decisions/0011). From then on a sensor without our pairing is a foreign
 * one, whoever plugged it in.
 */
export async function pairNewSensor({ bridge, records, log, box }: Pick<BoxParts, "bridge" | "records" | "log" | "box">, { state }: Pick<SensorStatus, "state">): Promise<void> {
  if (state !== "unpaired") return;
  const { sealed, people } = records.current.body;
  if (sealed && people.some(({ fingers }) => fingers.some((finger) => finger.box === box))) {
    log.error("sensor is not paired", { remedy: "put back the sensor at which people were enrolled; another one is for after they were taken out of the site record" });
    return;
  }
  try {
    await bridge.pair();
    log.info("sensor paired");
  } catch (error) {
    log.error("sensor not paired", { error: String(error) });
  }
}
