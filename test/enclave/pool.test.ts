import t from "tap";
import { EnclavePool, type Enclave } from "../../agent/enclave/client.ts";
import { EnclaveCore } from "../../agent/enclave/core.ts";
import { systemRandom } from "../../agent/runtime/random.ts";

function counted(fail: (n: number) => boolean = () => false): { pool: EnclavePool; made: Enclave[]; ended: () => number } {
  const made: Enclave[] = [];
  let [tried, spent] = [0, 0];
  const pool = new EnclavePool(() => {
    tried += 1;
    if (fail(tried)) return Promise.reject(new Error("no process"));
    const enclave = new EnclaveCore(systemRandom, () => { spent += 1; });
    made.push(enclave);
    return Promise.resolve(enclave);
  });
  return { pool, made, ended: () => spent };
}

void t.test("one is ready before it is asked for, and another as soon as it is taken", async (t) => {
  const { pool, made, ended } = counted();
  pool.warm();
  pool.warm();
  t.equal(made.length, 1);
  t.equal(await pool.take(), made[0]);
  t.equal(made.length, 2);
  t.equal(await pool.take(), made[1], "never the same one twice");
  await pool.close();
  t.equal(made.length, 3);
  t.equal(ended(), 1, "only the spare is the pool's to end");
  await t.rejects(pool.take(), { code: "PROCESS_STOPPED" });
  pool.warm();
  t.equal(made.length, 3);
});

void t.test("a spare that did not start is not kept", async (t) => {
  const { pool, made } = counted((n) => n === 1);
  pool.warm();
  await new Promise((resolve) => { setImmediate(resolve); });
  t.equal(await pool.take(), made[0]);
  await pool.close();
  const failing = counted(() => true);
  await t.rejects(failing.pool.take(), { message: "no process" });
  await failing.pool.close();
});
