// audit-of.ts: the notes of one process, before anything else of it is there: a stop may be read while the source is being opened.

import type { Clock } from '../clock.ts';
import type { Alarm } from '../kernel.ts';
import type { StateStore } from '../store.ts';
import { Auditor } from './auditor.ts';
import { AuditNotes } from './notes.ts';

/** What was not written is tried again after this long. Milliseconds. */
const againMs = 1_000;
/** What comes within so long is written together, after what hurries: a stop is told to the store, and carried out, before it is noted. Milliseconds. */
const togetherMs = 20;

export function auditOf(store: StateStore, clock: Clock, onAlarm: (alarm: Alarm) => void): AuditNotes {
  const after = (ms: number) => (work: () => void) => {
    const timer = clock.setTimeout(work, ms);
    return () => clock.clearTimeout(timer);
  };
  return new AuditNotes(
    new Auditor({
      log: () => store.audit,
      process: store.processId,
      now: () => clock.now(),
      later: after(againMs),
      soon: after(togetherMs),
      onTrouble: (why) =>
        onAlarm({
          kind: 'store',
          message:
            why === undefined
              ? 'the audit log is written again'
              : `the audit log cannot be written, and is tried again; nothing else waits for it: ${why}`,
          isActive: why !== undefined,
          at: clock.now(),
        }),
    }),
    clock,
  );
}
