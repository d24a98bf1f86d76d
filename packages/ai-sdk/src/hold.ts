// hold.ts: waiting that lets go. A caller's own abort is an abort; a stop of the session ends a stream and abandons the
// rest. No listener stays behind, even where what is waited for never settles.

import type { Session } from '@offswitch/runtime';
import { onStop, stoppedError } from './stopped.ts';

export interface HoldOptions {
  readonly session: Session;
  /** The caller's own signal. */
  readonly caller?: AbortSignal | undefined;
  /** When the session is stopped: abandon (never settle), or throw `stopped`. */
  readonly ifStopped: 'wait' | 'throw';
}

export function hold<T>(work: PromiseLike<T>, { session, caller, ifStopped }: HoldOptions): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      leave();
      reject(caller!.reason);
    };
    const endWatch = onStop(session, (decision) => {
      leave();
      if (ifStopped === 'throw') reject(stoppedError(decision));
    });
    const leave = (): void => {
      endWatch();
      caller?.removeEventListener('abort', onAbort);
    };
    if (caller?.aborted) onAbort();
    else caller?.addEventListener('abort', onAbort, { once: true });
    work.then(
      (value) => {
        leave();
        resolve(value);
      },
      (error) => {
        leave();
        reject(error);
      },
    );
  });
}

/** The runtime's signal and the caller's as one. By hand: what `AbortSignal.any` makes lives as long as its sources. */
export function joinSignals(
  ours: AbortSignal,
  caller: AbortSignal | undefined,
): { readonly signal: AbortSignal; readonly unlink: () => void } {
  if (!caller) return { signal: ours, unlink: () => undefined };
  const controller = new AbortController();
  const abort = (): void => {
    unlink();
    controller.abort(ours.aborted ? ours.reason : caller.reason);
  };
  const unlink = (): void => {
    ours.removeEventListener('abort', abort);
    caller.removeEventListener('abort', abort);
  };
  if (ours.aborted || caller.aborted) abort();
  else {
    ours.addEventListener('abort', abort, { once: true });
    caller.addEventListener('abort', abort, { once: true });
  }
  return { signal: controller.signal, unlink };
}
