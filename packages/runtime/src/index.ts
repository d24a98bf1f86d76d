export type { StopOrder } from './acts.ts';
export type { Agent, AgentOptions, RunOptions } from './agent.ts';
export type { Arrival } from './arrival.ts';
export { type AuditChain, type AuditLog, type AuditMemory, memoryAudit } from './audit/audit-log.ts';
export { Auditor, type AuditorOptions } from './audit/auditor.ts';
export { canonical, sha256 } from './audit/canonical.ts';
export type { AuditEntry, AuditFact, AuditHead } from './audit/entry.ts';
export { resolvedFact } from './audit/notes.ts';
export { type AuditAnchor, type AuditFinding, type AuditReport, verifyAudit } from './audit/verify.ts';
export type { Versions } from './audit/versions.ts';
export { type BreakerTable, reportAt, type Thresholds } from './breakers.ts';
export type {
  BudgetGrant,
  BudgetLease,
  BudgetOrphan,
  BudgetRequest,
  BudgetScope,
  BudgetSpending,
  BudgetStore,
} from './budget-store.ts';
export { ToolContext } from './call.ts';
export { type CallContext, contextSession, currentCall } from './call-context.ts';
export type { Caps } from './caps.ts';
export { type Clock, systemClock } from './clock.ts';
export { commandFor } from './command-hint.ts';
export { RuntimeError, type RuntimeErrorCode } from './error.ts';
export type { RuntimeEvent, RuntimeListener } from './event.ts';
export { type ControlAnswer, type ControlRequestOptions, requestControl } from './folder/control-request.ts';
export type { FolderStoreOptions } from './folder/folder-options.ts';
export { folderStore, folderWriter } from './folder/folder-store.ts';
export type { Journals } from './folder/journals.ts';
export { listProcesses, type ProcessEntry } from './folder/processes.ts';
export { readFolderJournals } from './folder/read-journals.ts';
export type { BundleCall, ForensicBundle, ReadingsThen, StopThen } from './forensics/bundle.ts';
export type { ForensicsOptions } from './forensics/forensics.ts';
export type { ForensicsStore } from './forensics/forensics-store.ts';
export type { Redact, Redacted, RedactedField } from './forensics/redact.ts';
export { type Gate, type GateOptions, type GateSubject, openGate } from './gate.ts';
export type {
  BrokerCaps,
  CredentialBroker,
  GrantHandle,
  Issued,
  IssueRequest,
  Revocation,
  RevokeOptions,
} from './grants/broker.ts';
export {
  endless,
  type GrantRecord,
  type GrantState,
  type GrantStore,
  isOver as isGrantOver,
  joinGrants,
  type KeptGrant,
} from './grants/grant-record.ts';
export type { Grant, GrantRequest } from './grants/lent.ts';
export type { ReceiptGrant } from './grants/receipt-grant.ts';
export { withoutSecrets } from './grants/without-secrets.ts';
export { mintId } from './id.ts';
export type { CallClass, CallKind, CallOutcome, JournalRecord, Left, Resolution, SessionRecord } from './journal.ts';
export type { Alarm } from './kernel.ts';
export {
  type Adoption,
  type ChildNews,
  type Confirmation,
  hasEnded,
  type LineageStore,
  type Registered,
  type RegisteredSession,
  type RegisteredState,
  type Registration,
  type SettledRecord,
  type StoreProcess,
  type UnheardProcess,
} from './lineage-store.ts';
export { type MemoryStore, memoryStore } from './memory-store.ts';
export type { Outcome, PausedChild } from './outcome.ts';
export { type AcceptRequestOptions, acceptRequest } from './path/accept-request.ts';
export { type Carrier, type CarrierOptions, carrierOf, pathMetaKey, pathVariable, tokenIn } from './path/carrier.ts';
export { type CarryingFetchOptions, carryingFetch } from './path/carry-fetch.ts';
export { spawnCarrying, takeToken } from './path/carry-process.ts';
export { newPathKey, type PathKey, type PathKeys, pathKeysFromEnv } from './path/path-keys.ts';
export type { PathSegment } from './path/segment.ts';
export {
  extend as extendPath,
  maxPathDepth,
  maxTokenBytes,
  type OpenedPath,
  openToken,
  type Seal,
  type SignedPath,
  seal as sealPath,
  signRoot,
} from './path/signed-path.ts';
export {
  isReceiptOf,
  type Receipt,
  type ReceiptCall,
  type ReceiptPart,
  type ReceiptSession,
  type Stage,
  stageNames,
  stages,
} from './receipt.ts';
export { isOver, joinReceipts, type Standing } from './receipt-join.ts';
export { isReceiptPart } from './receipt-shape.ts';
export type { ReleaseOrder } from './release.ts';
export { createRuntime, currentSession, type Runtime, type RuntimeOptions } from './runtime.ts';
export { foldJournals, foldJournalsInSteps, type Saved, type SavedCall, type SavedTurn, unknownCalls } from './saved.ts';
export type { Session } from './session.ts';
export { ungoverned } from './status.ts';
export type { Breathe } from './steps.ts';
export {
  awaitedSeries,
  conversationKey,
  formatStopKey,
  isConversationKey,
  parseStopKey,
  pendingSeries,
  type StopKey,
  seriesKey,
  subjectKey,
} from './stop-key.ts';
export type {
  ControlHandler,
  KeptReading,
  StateStore,
  StopDetails,
  StopToGoOn,
  StoreChange,
  StoredStop,
  StoreHealth,
  StoreOpening,
} from './store.ts';
export type {
  ModelOptions,
  OpenCall,
  OpenSpec,
  SpawnIfHeldOptions,
  SpawnOptions,
  SpawnOutcome,
  ToolOptions,
  Turn,
  Usage,
} from './turn.ts';
export type { Preview, RuntimeStatus, SessionView } from './view.ts';
