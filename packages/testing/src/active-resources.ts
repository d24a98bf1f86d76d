// active-resources.ts: what a piece of work leaves behind that keeps this process alive, so that a forgotten timer or socket is found out.
//
// Counting what there is before and after would be simpler, and the runner's own timers, which come and go, would hide a leak.

import { AsyncLocalStorage, createHook } from 'node:async_hooks';

// Pipes, signals and ports belong to the test runner.
const ignored = new Set(['PIPEWRAP', 'TTYWRAP', 'SIGNALWRAP', 'MESSAGEPORT', 'PROCESSWRAP', 'WORKER']);

/** What is on its way out is given so long: sockets are freed a little after they are closed. Milliseconds. */
const boundMs = 2000;

interface Resource {
  hasRef(): boolean;
}

/**
 * The kinds of timers, sockets and watchers that `work` made, itself or through what it called, and that still keep the process
 * alive once it has ended.
 */
export async function leftBehindBy(work: () => Promise<void>): Promise<string[]> {
  const within = new AsyncLocalStorage<true>();
  const made = new Map<number, { readonly kind: string; readonly resource: Resource }>();
  const hook = createHook({
    init(id, kind, _, resource) {
      if (within.getStore() === true && !ignored.has(kind) && isResource(resource)) made.set(id, { kind, resource });
    },
    // A timer that has fired still says that it has a reference.
    destroy: (id) => void made.delete(id),
  });
  const left = (): string[] => [...made.values()].filter(({ resource }) => resource.hasRef()).map(({ kind }) => kind);
  hook.enable();
  try {
    await within.run(true, work);
    const endsAt = performance.now() + boundMs;
    while (left().length > 0 && performance.now() < endsAt) await new Promise((resolve) => setImmediate(resolve));
    return left();
  } finally {
    hook.disable();
  }
}

function isResource(resource: object): resource is Resource {
  return 'hasRef' in resource && typeof resource.hasRef === 'function';
}
