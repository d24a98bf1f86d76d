// in-time.ts: a vendor's management API may hang, a folder be full of what was left; whoever waits at a terminal does not wait with it.

/** Rejects, with `why`, when it has not settled in time. `ms`: milliseconds. What becomes of the work later is of no interest. */
export async function inTime<T>(ms: number, work: Promise<T>, why = `no answer within ${ms / 1000} s`): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(why)), ms);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
