export { requestRedisControl } from './asking.ts';
export type { RedisClientLike } from './connection/link.ts';
export { readRedisJournals } from './left-behind.ts';
export type { RedisStoreOptions } from './options.ts';
export { redisStore } from './redis-store.ts';
