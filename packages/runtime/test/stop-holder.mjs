// stop-holder.mjs: a process that pauses everybody by an operator's stop, and then only watches its folder.
//
//   node stop-holder.mjs <folder>

import { writeSync } from 'node:fs';
import { folderStore } from '../dist/folder/folder-store.js';

const store = folderStore(process.argv[2]);
await store.open();
store.watch((change) => {
  for (const one of change.lost ?? []) writeSync(1, `lost ${one.key}\n`);
});
await store.serve(async () => ({}));
await store.mark('act.operator.pause.global.-.o1', 'engaged', 0, { reason: 'bad letters', by: 'ada', at: 1000 });
await store.mark('act.operator.pause.user.u-1.o2', 'engaged', 0, { reason: 'over', by: 'ada', at: 1000 });
await store.mark('act.operator.pause.user.u-1.o2', 'released', 0, { reason: 'well again', by: 'ada', at: 1001 });
writeSync(1, 'marked\n');
