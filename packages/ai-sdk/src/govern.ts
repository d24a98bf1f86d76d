// govern.ts: a model and its tools under the kill switches, once, at module scope. Which session they act for comes from
// the async context at each call, so one governed model serves every session.

import type { CallClass } from '@offswitch/runtime';
import { AiSdkError } from './error.ts';
import { governModel } from './govern-model.ts';
import { governTool } from './govern-tool.ts';
import type { LanguageModelLike } from './model-shape.ts';
import type { UsageOptions } from './usage.ts';

export interface GovernOptions<M extends LanguageModelLike, T extends object> {
  /** A model object of `ai` 6 (specification v3) or 7 (v4). */
  readonly model: M;
  readonly tools?: T;
  /** What the child session of a delegating tool is called in session trees. Default: the tool's name. */
  readonly name?: string;
  /**
   * What a tool does to the world. Undeclared and `true`: it changes it, and is never repeated by us. `'idempotent'`: safe to repeat with the
   * same `idempotencyKeyOf(options)`. `false`: it only reads.
   */
  readonly effects?: Partial<Readonly<Record<keyof T & string, boolean | 'idempotent'>>>;
  /** Tools that do nothing but start other governed work: entered again after a crash, their inner calls answer from the journal. */
  readonly delegates?: readonly (keyof T & string)[];
  readonly usage?: UsageOptions;
}

/** Throws `unsupported_model`, `unknown_tool`. */
export function govern<M extends LanguageModelLike, T extends object = Record<never, never>>(
  options: GovernOptions<M, T>,
): { model: M; tools: T } {
  const { model, effects = {}, delegates = [], name, usage } = options;
  const tools = options.tools ?? ({} as T);
  for (const declared of [...Object.keys(effects), ...delegates]) {
    if (!Object.hasOwn(tools, declared)) {
      throw new AiSdkError(
        'unknown_tool',
        `${JSON.stringify(declared)} is declared but is not among the tools: ${Object.keys(tools).join(', ') || 'there are none'}`,
      );
    }
  }
  const governed = Object.entries(tools).map(([toolName, tool]: [string, object]) => {
    const effect = (effects as Readonly<Record<string, boolean | 'idempotent' | undefined>>)[toolName];
    const of = (delegates as readonly string[]).includes(toolName) ? 'delegates' : classOf(effect);
    return [toolName, governTool(tool, { toolName, class: of, childName: name })] as const;
  });
  return { model: governModel(model, { name, usage }), tools: Object.fromEntries(governed) as T };
}

function classOf(effect: boolean | 'idempotent' | undefined): CallClass {
  switch (effect) {
    case undefined:
    case true:
      return 'effect';
    case 'idempotent':
      return 'idempotent';
    case false:
      return 'read';
  }
}
