// external-tool-completes-anyway.ts: https://github.com/openai/codex/issues/26956
//
// There: an interrupt never sent `notifications/cancelled`; the MCP server finished the side effect, and nobody was told.
// Here: the real MCP client sends it, what comes back later reaches no agent, and the receipt says that the outcome is unknown.

import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { createRuntime, defineKillSwitches, flagFile, flagFileControl, type Receipt } from 'offswitch';
import { z } from 'zod';
import { incident, receiptOf, until, within } from './check.ts';

const ledger = process.argv[2];
if (ledger === undefined) await agentAndPerson();
else await paymentServer(ledger);

/** Somebody else's process. It is told of the cancel, and pays all the same, as a server may. The file is what really happened. */
async function paymentServer(file: string): Promise<void> {
  const wrote = (line: string): void => appendFileSync(file, `${line}\n`);
  const server = new McpServer({ name: 'payments', version: '1.0.0' });
  server.registerTool('pay', { inputSchema: { invoice: z.string() } }, async ({ invoice }, { signal }) => {
    wrote(`begun ${invoice}`);
    const cancelled = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    const released = (async () => {
      while (!readFileSync(file, 'utf8').includes(`release ${invoice}`)) await new Promise((resolve) => setTimeout(resolve, 5));
    })();
    if ((await Promise.race([cancelled.then(() => 'cancelled'), released.then(() => 'released')])) === 'cancelled')
      wrote(`cancelled ${invoice}`);
    await released;
    wrote(`paid ${invoice}`);
    return { content: [{ type: 'text', text: `paid ${invoice}` }] };
  });
  await server.connect(new StdioServerTransport());
  process.stdin.once('close', () => process.exit());
}

async function agentAndPerson(): Promise<void> {
  await incident(async ({ folder, ok, closeAfter }) => {
    const switches = defineKillSwitches({
      global: { authorized: ['on-call'] },
      features: { invoices: { authorized: ['on-call'] } },
      instance: { authorized: ['on-call'] },
    });
    await flagFileControl('switches.flagd.json').provision(switches, { apply: true });
    const file = join(folder, 'ledger');
    appendFileSync(file, '');
    const happened = (line: string) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((one) => one === line).length;

    const client = new Client({ name: 'invoices', version: '1.0.0' });
    const args = [fileURLToPath(import.meta.url), file];
    await client.connect(new StdioClientTransport({ command: process.execPath, args }));
    closeAfter(() => client.close());
    const runtime = await createRuntime({ switches, source: flagFile('switches.flagd.json'), effectDeadlineMs: 100 });
    closeAfter(() => runtime.close());

    const came: string[] = [];
    const delivered: string[] = [];
    const invoices = runtime.agent('invoices', (session) =>
      session.turn(async (turn) => {
        const pay = async (invoice: string, isCareful: boolean) => {
          const reply = await turn.tool(
            'pay',
            invoice,
            async (_, context) => {
              const { content } = await client.callTool(
                { name: 'pay', arguments: { invoice } },
                undefined,
                isCareful ? { signal: context.signal } : {},
              );
              came.push(invoice);
              return content as { text: string }[];
            },
            { key: invoice },
          );
          delivered.push(reply[0]?.text ?? '');
        };
        // The second tool forgets to hand the signal on, as many do.
        await Promise.allSettled([pay('careful', true), pay('careless', false)]);
        delivered.push('went on');
      }),
    );
    const run = invoices.start(null);
    await until('both payments are under way', () => happened('begun careful') + happened('begun careless') === 2);
    await runtime.stop({ session: run.id, reason: 'wrong supplier', by: 'on-call' });
    const receipt = await receiptOf(runtime, await within('the run has ended', run.outcome));
    const outcomes = (from: Receipt | undefined) => from?.sessions[0]?.calls.map(({ outcome }) => outcome).join();
    await until('the server has been told', () => happened('cancelled careful') === 1);
    ok('the server is sent notifications/cancelled for the call that was given the signal', happened('cancelled careless') === 0);
    ok(
      'the receipt says of both calls that their outcome is unknown',
      outcomes(receipt) === 'unknown,unknown',
      receipt?.sessions,
    );
    const residue = receipt?.residue.filter((line) => line.endsWith('pay: outcome unknown')) ?? [];
    ok('  and lists them as what this stop cannot promise', residue.length === 2, receipt?.residue);

    // The server pays all the same: what happens in another's process can be barred from the agent, and not be undone.
    for (const invoice of ['careful', 'careless']) appendFileSync(file, `release ${invoice}\n`);
    await until('both are paid', () => happened('paid careful') + happened('paid careless') === 2);
    await until('the result of the careless one has come', () => came.length > 0);
    const later = await until('the receipt has it', async () => {
      const told = (await runtime.receipts()).find(({ id }) => id === receipt?.id);
      return outcomes(told) === 'unknown,late' && told;
    });
    ok('the result that came late is on record as late, the other is unknown still', outcomes(later) === 'unknown,late', later);
    ok(
      'neither of them reaches the agent, which does not go on',
      delivered.length === 0 && came.join() === 'careless',
      delivered,
    );

    // Whoever takes up the work is asked about the one, and has the answer of the other.
    const again = invoices.start(null, { restartOf: run.id });
    const [call, ...more] = await until('it rests on it', () => {
      const { unknownCalls = [] } = runtime.session(again.id) ?? {};
      return unknownCalls.length > 0 && unknownCalls;
    });
    ok('a run that takes up the work rests until a person says what happened', more.length === 0, more);
    await runtime.resolve(again.id, call?.id ?? '', 'happened', { value: [{ text: 'paid, says the bank' }], by: 'on-call' });
    const outcome = await within('the second run has ended', again.outcome);
    const told = delivered.sort().join();
    ok(
      'told, it comes to its end',
      outcome.status === 'completed' && told === 'paid careless,paid, says the bank,went on',
      delivered,
    );
    const paid = happened('paid careful') + happened('paid careless') + happened('begun careful') + happened('begun careless');
    ok('  and nothing was paid twice', paid === 4, readFileSync(file, 'utf8'));
  });
}
