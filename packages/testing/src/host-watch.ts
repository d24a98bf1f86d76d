// host-watch.ts: would this have ended the process? SDKs throw from timers and leave rejections to nobody.

const events = ['uncaughtException', 'unhandledRejection'] as const;

export interface HostWatch {
  /** What nobody caught so far. */
  readonly uncaught: readonly unknown[];
  /** Waits until what has already gone wrong is known, then gives the listeners of before their place back. Idempotent. */
  end(): Promise<void>;
}

/**
 * From now until `end`, what nobody catches is collected here, and neither ends the process nor reaches the test runner. One at
 * a time in a process.
 */
export function watchHost(): HostWatch {
  const uncaught: unknown[] = [];
  const collect = (error: unknown): void => {
    uncaught.push(error);
  };
  const before = events.map((event) => [event, process.listeners(event as 'uncaughtException')] as const);
  for (const [event, listeners] of before) {
    for (const listener of listeners) process.removeListener(event, listener);
    process.on(event, collect);
  }
  let ended: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    // Rejections are told of after the microtasks of a turn, so two turns are enough for what has happened by now.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    for (const [event, listeners] of before) {
      process.removeListener(event, collect);
      for (const listener of listeners) process.on(event, listener as (error: unknown) => void);
    }
  };
  return {
    uncaught,
    end() {
      ended ??= end();
      return ended;
    },
  };
}
