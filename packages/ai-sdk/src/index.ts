export { AiSdkError, type AiSdkErrorCode } from './error.ts';
export { type GovernOptions, govern } from './govern.ts';
export { idempotencyKeyOf } from './govern-tool.ts';
export { messagesOf } from './messages.ts';
export type { LanguageModelLike } from './model-shape.ts';
export { stopOf } from './stopped.ts';
export type { UsageOptions } from './usage.ts';
