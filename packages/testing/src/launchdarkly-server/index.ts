export { type LocalLaunchDarkly, startLocalLaunchDarkly } from './local.ts';
export type {
  LdClause,
  LdFallthrough,
  LdFlag,
  LdFlagConfig,
  LdFlagSeed,
  LdRule,
  LdSegment,
  LdTargetList,
} from './model.ts';
export type { RestRefusal } from './rest-routes.ts';
export type { LdEvent, LdFault } from './sdk-routes.ts';
export { type LaunchDarklyServer, type LaunchDarklyServerOptions, openLaunchDarklyServer } from './server.ts';
export type { LdSnapshot } from './state.ts';
