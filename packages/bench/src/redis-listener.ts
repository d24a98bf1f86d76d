// redis-listener.ts: a process that shares a store in Redis and takes stops in, for the benchmark of how fast all have.

import { redisStore } from '@offswitch/redis';

const store = redisStore({ url: process.argv[2]!, anchor: false });
await store.open();
store.watch(() => {});
process.send?.('listens');
process.on('disconnect', () => process.exit(0));
