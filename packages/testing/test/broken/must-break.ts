// must-break.ts: for each broken source the test of the contract that must find it out.

import type { Broken } from '../small-source.ts';

export const mustBreak = {
  'calls old data live': 'answers from what it knew, as cached and never live, while the vendor is lost (S3, I13)',
  'takes the fallback of the caller': 'says unknown, never released, for a flag the vendor does not have (S5, S13)',
  'crashes the host': 'outlives garbage: nothing crashes, nobody is released, and proper data is taken after it (I13)',
  'never goes stale': 'notices by its own clock that the vendor has gone silent, and comes back by itself (S5)',
  'believes older data': 'takes older data for no release (S3, I10)',
  'gives up': 'is fresh and live again once the vendor is back, with the same series',
  'never releases': 'releases what it stopped, by positions alone, as often as it is flipped (S3)',
  'throws from read': 'answers from what it knew, as cached and never live, while the vendor is lost (S3, I13)',
  'opens for ever': 'opens within its bound where the vendor does not answer, and says that it knows nothing (S5)',
  'keeps changes to itself':
    'tells listeners after the change can be read, and a throwing listener keeps nobody from hearing (I13)',
  'takes every environment for the same':
    'speaks for its own environment alone: what another one reads releases nothing here (S3)',
  'leaves a timer behind': 'leaves no timer, socket or watcher behind',
  'matches by the beginning of an id':
    'matches a user exactly: an id that differs in one character, in case or in length is somebody else (I7)',
} as const satisfies Partial<Record<Broken, string>>;
