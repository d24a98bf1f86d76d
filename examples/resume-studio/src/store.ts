// store.ts: where stops, checkpoints and receipts are kept: made here and nowhere else, once in each process.

import { folderStore, type StateStore } from 'offswitch';
import type { Options } from './options.ts';

export type StoreName = 'folder';
export const storeNames: readonly StoreName[] = ['folder'];

export function openStore(options: Options): StateStore {
  return folderStore(options.state);
}
