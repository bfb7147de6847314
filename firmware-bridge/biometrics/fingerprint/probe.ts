import { SensorError } from "../errors.ts";
import { checkSensor, handShake, readParameters, readProduct } from "./commands.ts";
import type { Exchange } from "./exchange.ts";
import type { Parameters, Product } from "./parameters.ts";

/** What kind of module this is. */
export interface Module {
  readonly parameters: Parameters;
  /** Knows the R503 commands: GetImageEx, product information, self-test, ring light. */
  readonly r503: boolean;
  readonly product?: Product;
}

/**
 * Finds out after the password was taken. The newer dialect has other meanings for 35h and 3Ch, so these
 * are sent only after 40h was answered with 00 (§3.1). Rejects with SENSOR_FAULT if the module says it is broken.
 */
export async function probe(exchange: Exchange): Promise<Module> {
  const parameters = await exchange.demand(readParameters());
  if (!await answersHandShake(exchange)) return { parameters, r503: false };
  const health = await exchange.send(checkSensor());
  if (!health.ok) throw new SensorError("SENSOR_FAULT", "the sensor reports a defect", { remedy: "replace the sensor" });
  const product = await exchange.send(readProduct());
  return { parameters, r503: true, ...(product.ok ? { product: product.value } : {}) };
}

async function answersHandShake(exchange: Exchange): Promise<boolean> {
  try {
    return (await exchange.send(handShake())).ok;
  } catch (error) {
    // Older modules stay silent, or echo the command.
    if (error instanceof SensorError && (error.code === "SENSOR_SILENT" || error.code === "SENSOR_GARBLED")) return false;
    throw error;
  }
}
