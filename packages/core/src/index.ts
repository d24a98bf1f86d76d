export type { Finding, Flip, HistoryQuery, Inspection, Order, Plan, PlanStep, SwitchControl } from './control.ts';
export { type Decision, run, type Stopped, strongest } from './decision.ts';
export {
  defineKillSwitches,
  type EngagedWhen,
  type KillSwitches,
  type KillSwitchSpec,
  type SwitchFlag,
  type SwitchSpec,
  unknownWorkflow,
  type WhenUnknown,
  type WorkflowOf,
  type WorkflowSpec,
} from './define.ts';
export { OffswitchError, type OffswitchErrorCode } from './error.ts';
export { applyReading, isEngaged, join, type Marks, releaseByAct, unmarked } from './latch.ts';
export { checkReading, type Origin, type Position, type Reading, type UnknownCause, unknown } from './reading.ts';
export type { FlagType, Resolution, SourceChange, SourceHealth, SwitchSource } from './source.ts';
export type { Breaker, Stop, StopCause } from './stop.ts';
export { checkId, maxIdBytes, type Subject, subjectFor, subjectId } from './subject.ts';
export { type Action, actionOf, compareActions, effectOf, noticeOf, type StopAction, type Tier, tiers } from './tier.ts';
