export type { UnleashAnswer, UnleashRequest } from './answer.ts';
export { type LocalUnleash, type LocalUnleashOptions, startLocalUnleash, whyNoLocalUnleash } from './local.ts';
export {
  startUnleashServer,
  type UnleashFault,
  type UnleashIntercept,
  type UnleashPayload,
  type UnleashServer,
  type UnleashServerOptions,
} from './server.ts';
export type { Stored, StoredConstraint, StoredEnvironment, StoredEvent, StoredFlag, StoredStrategy } from './stored.ts';
