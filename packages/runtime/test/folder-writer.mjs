// folder-writer.mjs: a process that marks and appends until it is killed, and says what it was told is safe.
//
//   node folder-writer.mjs <folder> <name>

import { writeSync } from 'node:fs';
import { folderStore } from '../dist/folder/folder-store.js';

const [, , path, name] = process.argv;
const store = folderStore(path);
await store.open();
await store.serve(async (method) => ({ method, name }));
// Written straight to the pipe: what is said is out before the next step.
const say = (word) => writeSync(1, `${word}\n`);
say(`process ${store.processId}`);

const session = `s-${name}`;
store.append(session, { t: 'session', s: session, e: 1, at: 1, root: session, path: [session], agent: 'a', workflow: 'w' });
say('appended 0');

async function mark() {
  for (let n = 0; ; n++) {
    const side = n % 3 === 2 ? 'released' : 'engaged';
    await store.mark(`switch.user.${name}-${n % 7}.flags`, side, n, { reason: `mark ${n}`, at: n });
    say(`marked ${n}`);
  }
}
async function append() {
  for (let n = 1; ; n++) {
    store.append(session, { t: 'checkpoint', s: session, e: 1, at: n, turn: n, state: 'x'.repeat((n * 997) % 20_000) });
    say(`appended ${n}`);
    if (n % 5 === 0) await store.flush();
    // Lets the marks have their turn.
    if (n % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}
await Promise.all([mark(), append()]);
