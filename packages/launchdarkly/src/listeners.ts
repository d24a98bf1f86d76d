// listeners.ts: who hears of changes. None of them can keep the others from hearing (I13).

import type { SourceChange } from '@offswitch/core';

export interface Listeners {
  notify(change: SourceChange): void;
  subscribe(listener: (change: SourceChange) => void): () => void;
  clear(): void;
}

export function createListeners(name: string): Listeners {
  const listeners = new Set<(change: SourceChange) => void>();
  return {
    notify(change) {
      for (const listener of [...listeners]) {
        try {
          listener(change);
        } catch (error) {
          process.emitWarning(`a listener of ${name} threw: ${String(error)}`, 'OffswitchWarning');
        }
      }
    },
    subscribe(listener) {
      const own = (change: SourceChange): void => listener(change);
      listeners.add(own);
      return () => {
        listeners.delete(own);
      };
    },
    clear: () => listeners.clear(),
  };
}
