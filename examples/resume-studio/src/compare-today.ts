// compare-today.ts: the same agents as people wire them today: one AbortController, its signal given to the orchestrators.
//
// The authors of the sub-agents' tools do not forward it. The AI SDK hands it to every tool, but what is not passed on
// ends there.

import { generateText, stepCountIs, type ToolSet, tool } from 'ai';
import type { CrewOptions } from './agents.ts';
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
  taskMessage,
  toolsOf,
  type Workflow,
} from './planner-roles.ts';
import type { StudioTool } from './tools.ts';

export interface TodaysCrew {
  orchestrate(workflow: Workflow, task: OrchestratorTask, signal: AbortSignal): Promise<string>;
  /** Agents of any depth that are still at work. */
  readonly atWork: number;
}

export function todaysCrew({ model, tools, onTool }: CrewOptions): TodaysCrew {
  let atWork = 0;

  function equip(role: Role): ToolSet {
    const own: ToolSet = {};
    for (const name of toolsOf(role)) {
      if (isDelegate(name)) {
        const { role: subRole, description } = delegateOf(name);
        const execute = (task: SubTask): Promise<string> => {
          onTool?.(role, name);
          return work(subRole, task);
        };
        own[name] = tool({ description, inputSchema: subTaskSchema, execute });
      } else {
        const { description, inputSchema, execute } = tools[name] as StudioTool<object>;
        own[name] = tool({
          description,
          inputSchema,
          execute: (input: object, options) => {
            onTool?.(role, name);
            return execute(input, { signal: options.abortSignal });
          },
        });
      }
    }
    return own;
  }

  async function work(role: Role, task: Task, abortSignal?: AbortSignal): Promise<string> {
    atWork++;
    try {
      const { text } = await generateText({
        model,
        tools: equip(role),
        system: systemPrompt(role),
        prompt: taskMessage(role, task),
        stopWhen: stepCountIs(maxReplies),
        ...(abortSignal ? { abortSignal } : {}),
      });
      return text;
    } finally {
      atWork--;
    }
  }

  return {
    orchestrate: (workflow, task, signal) => work(orchestratorOf(workflow), task, signal),
    get atWork() {
      return atWork;
    },
  };
}
