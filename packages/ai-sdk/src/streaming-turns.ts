// streaming-turns.ts: which turns have a consumer of a stream, who must be told of a stop rather than left hanging.

import type { Turn } from '@offswitch/runtime';

const streaming = new WeakSet<Turn>();

export function markStreaming(turn: Turn): void {
  streaming.add(turn);
}

export function isStreaming(turn: Turn): boolean {
  return streaming.has(turn);
}
