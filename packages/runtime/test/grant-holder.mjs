// grant-holder.mjs: a process that lends credentials without end, until it is killed. A credential is a file in <place>/works.
//
//   node grant-holder.mjs <place>

import { rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { defineKillSwitches } from '@offswitch/core';
import { flagFile } from '@offswitch/flag-file';
import { createRuntime, folderStore } from '@offswitch/runtime';

const place = process.argv[2];
const file = (id) => join(place, 'works', id);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const door = {
  caps: { cascade: 'none', effect: 'immediate', maxResidualMs: 0, canVerify: false, revokesById: true },
  async issue({ id, ttlMs }) {
    await pause(Math.random() * 4);
    writeFileSync(file(id), '');
    writeSync(1, 'lent\n');
    await pause(Math.random() * 4);
    return { status: 'issued', secret: id, ref: id, expiresAt: Date.now() + ttlMs };
  },
  async revoke({ id }) {
    await pause(Math.random() * 4);
    rmSync(file(id), { force: true });
    await pause(Math.random() * 4);
    return { state: 'revoked', residualMs: 0 };
  },
};
const switches = defineKillSwitches({ global: { authorized: ['test'] }, features: { alpha: { authorized: ['test'] } } });
const runtime = await createRuntime({
  switches,
  source: flagFile(join(place, 'switches.flagd.json')),
  store: folderStore(join(place, 'state')),
  brokers: { door },
});
const alpha = runtime.agent('alpha', (session) =>
  session.turn((turn) => turn.tool('use', {}, async (_, context) => void (await context.grant('door')), { effect: false })),
);
await Promise.all(
  [1, 2, 3, 4].map(async () => {
    for (;;) await alpha.run(undefined);
  }),
);
