export { type Clock, systemClock } from './clock.ts';
export { RuntimeError, type RuntimeErrorCode } from './error.ts';
export type { CallClass, CallKind, CallOutcome, JournalRecord, Resolution, SessionRecord } from './journal.ts';
export { type Receipt, type ReceiptCall, type ReceiptSession, type Stage, stageNames, stages } from './receipt.ts';
export { formatStopKey, parseStopKey, type StopKey, seriesKey, subjectKey } from './stop-key.ts';
export type {
  ControlHandler,
  KeptReading,
  StateStore,
  StopDetails,
  StoreChange,
  StoredStop,
  StoreHealth,
  StoreOpening,
} from './store.ts';
