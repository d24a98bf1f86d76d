export { type RedisUserBrokerOptions, redisUserBroker } from './redis-user-broker.ts';
