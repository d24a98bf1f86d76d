// halted-process.mjs: a process that runs a graph and looks, in one tight row, whether it may go on: for a test that halts it.

import { existsSync } from 'node:fs';
import { redisStore } from '@offswitch/redis';

const [url, leaseMs, wasHalted] = process.argv.slice(2);
const store = redisStore({ url, leaseMs: Number(leaseMs), anchor: false });
const heard = [];
let takenOver = [];
await store.open();
store.watch((change) => {
  heard.push(...(change.stops ?? []).map((stop) => stop.key));
  if (change.takenOver) takenOver = change.takenOver;
});
await store.lineage.register({ session: 'r-1', path: ['r-1'], agent: 'writer', workflow: 'drafts', isLocalRoot: true });
store.append('r-1', { t: 'session', s: 'r-1', e: 1, at: 1, root: 'r-1', path: ['r-1'], agent: 'writer', workflow: 'drafts' });
await store.flush();

// The file is made while this process is halted: a gap between two looks may be a busy machine's. What is asked next, before anything else can
// run, is the first check after it.
let isHalted = false;
const looking = setInterval(() => {
  if (!isHalted && existsSync(wasHalted)) {
    isHalted = true;
    process.send({ what: 'woke', wasEverFreeAfterHalt: !store.lineage.isCutOff() });
  }
  if (isHalted && !store.lineage.isCutOff()) {
    clearInterval(looking);
    process.send({ what: 'back', takenOver, heard, claims: store.claim('r-1', 3) });
  }
}, 1);
// Only now: whoever hears it may halt us in the middle of saying it.
process.send({ what: 'runs' });
