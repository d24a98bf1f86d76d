// switches-file.ts: the incident's switches in a flag file, and every way in which a flag file can be lost.

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { IncidentSwitches } from './scene.ts';

interface FlagFile {
  readonly flags: Record<string, { defaultVariant: string }>;
}

export function fileSwitches(path: string): IncidentSwitches {
  let released = '';
  let engaged = '';
  return {
    fleetArgs: [],
    fleetEnv: {},
    commandEnv: {},
    remember: () => {
      released = readFileSync(path, 'utf8');
    },
    // As an editor does: a new file in the place of the old.
    async everybodysInstance(isOn) {
      const file = JSON.parse(readFileSync(path, 'utf8')) as FlagFile;
      file.flags['killswitch.instance']!.defaultVariant = isOn ? 'engaged' : 'released';
      writeFileSync(`${path}.edited`, `${JSON.stringify(file, undefined, 2)}\n`);
      renameSync(`${path}.edited`, path);
    },
    losses: () => {
      engaged = readFileSync(path, 'utf8');
      return [
        { what: 'the flag file missing', begin: () => rmSync(path) },
        { what: 'the flag file empty', begin: () => writeFileSync(path, '') },
        { what: 'the flag file corrupt', begin: () => writeFileSync(path, engaged.slice(0, engaged.length / 2)) },
        { what: 'the flag file older than before', begin: () => writeFileSync(path, released) },
      ];
    },
    checkLoss({ checks, fleet }, { what }) {
      if (!what.endsWith('missing')) return;
      const isTold = fleet.printed().includes('is gone, and is not made anew');
      checks.check('the missing flag file is not made anew, and the fleet says so', isTold && !existsSync(path));
    },
    heal: () => writeFileSync(path, engaged),
    close: async () => undefined,
  };
}
