// agents.ts: the agents, written as people write them with the AI SDK: a model, tools, a prompt, and sub-agents inside of
// tools. What makes them stoppable is `govern`, once per role; no signal is forwarded anywhere.

import { govern, idempotencyKeyOf, messagesOf } from '@offswitch/ai-sdk';
import { generateText, type ModelMessage, stepCountIs, type ToolSet, tool } from 'ai';
import type { Session } from 'offswitch';
import type { Endpoint } from './endpoint.ts';
import { sendToken } from './mail/mail-account.ts';
import {
  delegateOf,
  isDelegate,
  maxReplies,
  type OrchestratorTask,
  orchestratorOf,
  type Role,
  type SubTask,
  subTaskSchema,
  systemPrompt,
  type Task,
  type ToolName,
  taskMessage,
  toolsOf,
  type Workflow,
} from './planner-roles.ts';
import type { Delegate } from './processes/delegate.ts';
import type { StudioTool, StudioTools } from './tools.ts';

export interface CrewOptions {
  readonly model: Endpoint['model'];
  readonly tools: StudioTools;
  /** Has sub-agents work in other processes. Default: inside of the tool that delegates. */
  readonly delegate?: Delegate;
  /** Told of each tool call as its body is entered, for counting. */
  readonly onTool?: (role: Role, tool: ToolName) => void;
}

export interface Crew {
  /** Runs an orchestrator to its report, from where its session was left. Call it inside that session. */
  orchestrate(workflow: Workflow, task: OrchestratorTask, session: Session): Promise<string>;
  /** The same for a sub-agent that is a session of its own. */
  assist(role: Role, task: SubTask, session: Session): Promise<string>;
}

/** What a `kind` of tool does to the world, in the words of `govern`. */
const effectOf = { read: false, write: 'idempotent', effect: true } as const satisfies Record<
  StudioTool<never>['kind'],
  boolean | 'idempotent'
>;

/** Micro-units of a dollar per token, times 100 (so that the sum is of integers): $0.25 and $2 per million tokens. */
const price = { input: 25, output: 200 };

/** Reserved before each call: a reply of these agents has never cost a third of it. */
const maxCostMicros = 10_000;

export function crewFor({ model, tools, delegate, onTool }: CrewOptions): Crew {
  const governed = new Map<Role, { readonly model: Endpoint['model']; readonly tools: ToolSet }>();

  /** The model and the tools of a role, governed. Made once per role: which session they act for, they find out at each call. */
  function equip(role: Role): { readonly model: Endpoint['model']; readonly tools: ToolSet } {
    const known = governed.get(role);
    if (known) return known;
    const own: ToolSet = {};
    const effects: Record<string, boolean | 'idempotent'> = {};
    const delegates: string[] = [];
    for (const name of toolsOf(role)) {
      if (isDelegate(name)) {
        const { role: subRole, description } = delegateOf(name);
        const execute = (task: SubTask, { abortSignal }: { readonly abortSignal?: AbortSignal }): Promise<string> => {
          onTool?.(role, name);
          return delegate ? delegate(subRole, task, abortSignal) : work(subRole, task);
        };
        own[name] = tool({ description, inputSchema: subTaskSchema, execute });
        delegates.push(name);
      } else {
        const { description, inputSchema, execute, kind } = tools[name] as StudioTool<object>;
        own[name] = tool({
          description,
          inputSchema,
          execute: (input: object, options) => {
            onTool?.(role, name);
            return execute(input, { signal: options.abortSignal, idempotencyKey: idempotencyKeyOf(options), sendToken });
          },
        });
        effects[name] = effectOf[kind];
      }
    }
    const priceOf = (_: string, tokens: { readonly inputTokens: number; readonly outputTokens: number }): number =>
      (tokens.inputTokens * price.input + tokens.outputTokens * price.output) / 100;
    const equipped = govern({ model, tools: own, name: role, effects, delegates, usage: { priceOf, maxCostMicros } });
    governed.set(role, equipped);
    return equipped;
  }

  /** One agent, of whatever depth: its tools act, or are agents themselves. */
  async function work(role: Role, task: Task, history?: readonly ModelMessage[]): Promise<string> {
    const { text } = await generateText({
      ...equip(role),
      system: systemPrompt(role),
      messages: [...(history ?? [{ role: 'user', content: taskMessage(role, task) } satisfies ModelMessage])],
      stopWhen: stepCountIs(maxReplies),
    });
    return text;
  }

  return {
    orchestrate: (workflow, task, session) => work(orchestratorOf(workflow), task, messagesOf(session)),
    assist: (role, task, session) => work(role, task, messagesOf(session)),
  };
}
