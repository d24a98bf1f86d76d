// index.ts: what tests and demonstrations import as `@offswitch/testing/growthbook`.
export type { GrowthBookAnswer, GrowthBookRequest } from './answer.ts';
export { type LocalGrowthBook, startLocalGrowthBook } from './local.ts';
export { encrypt, type FeatureDefinition } from './payload.ts';
export {
  type GrowthBookFault,
  type GrowthBookServer,
  type GrowthBookServerOptions,
  type Intercept,
  startGrowthBookServer,
} from './server.ts';
export type { GroupRevision, Stored, StoredFeature, StoredGroup, StoredRevision, StoredRule } from './stored.ts';
export type { StreamOptions, Streams } from './streams.ts';
