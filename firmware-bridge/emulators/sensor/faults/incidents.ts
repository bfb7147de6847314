import { EmulatorError } from "../../errors.ts";
import { fingerOf, nonceFrom, render } from "../prints.ts";
import type { Profile } from "../profiles.ts";
import { powerUp, withFlash, type State } from "../state.ts";
import type { Incident } from "./fault.ts";

/** A module's state after somebody, or the supply, has been at it. @throws SLOT_EMPTY */
export function happen(profile: Profile, state: State, incident: Incident): State {
  switch (incident.name) {
    case "unsolicited-55": return state;
    case "silent-repower": return powerUp(profile, state.flash);
    case "lower-security": return withFlash(state, { security: incident.level });
    case "substitute-template": {
      const print = { kind: "template", nonce: nonceFrom(fingerOf(incident.finger)), fingers: [fingerOf(incident.finger)], quality: 100 } as const;
      return withFlash(state, { library: new Map(state.flash.library).set(incident.slot, render(print, profile.templateBytes)) });
    }
    case "move-template": {
      const library = new Map(state.flash.library);
      const template = library.get(incident.from);
      if (template === undefined) throw new EmulatorError("SLOT_EMPTY", `slot ${incident.from} holds no template`, { remedy: "enrol first, or name a used slot" });
      library.delete(incident.from);
      return withFlash(state, { library: library.set(incident.to, template) });
    }
  }
}
