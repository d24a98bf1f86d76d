// store.ts: where the state of a run lives.

import { type Clock, folderStore, type StateStore } from '@offswitch/runtime';
import type { WorkerSetup } from './switches.ts';

export function openStore({ folder }: WorkerSetup, clock: Clock): StateStore {
  return folderStore(folder, { clock, watchPollMs: 100 });
}
