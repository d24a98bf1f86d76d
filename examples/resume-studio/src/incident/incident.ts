// incident.ts: `npm start -- --scenario incident`: an evening on call, checked step by step against witnesses that no agent
// can reach: the model's own log of requests, the mail server's of letters, the outbox and the journals.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exampleResumes, loadAdverts, loadDocuments } from '../documents.ts';
import type { Options } from '../options.ts';
import { checksTo } from './checks.ts';
import { crashInDelivery, holdLetters } from './letters.ts';
import { openPost } from './post.ts';
import { documentsAtFirst, Scene } from './scene.ts';
import { type IncidentState, openState } from './state.ts';
import { engageFeature } from './step-1-feature.ts';
import { engageUser } from './step-2-user.ts';
import { killWorkerInStop } from './step-2-worker.ts';
import { engageEverybodysInstance, engageInstance } from './step-3-instance.ts';
import { holdLetterToStop, terminateInDelivery } from './step-3-letter.ts';
import { engageGlobal } from './step-4-global.ts';
import { restartWithoutFlags } from './step-5-restart.ts';
import { releaseAll } from './step-6-release.ts';
import { fileSwitches } from './switches-file.ts';
import { vendorSwitches } from './switches-vendor.ts';
import { watchMail } from './watched-mail.ts';
import { watchModel } from './watched-model.ts';

/** Resolves with the exit code: 0 when every check held. */
export async function runIncident(options: Options): Promise<number> {
  const began = Date.now();
  const checks = checksTo((line) => void process.stdout.write(`${line}\n`));
  const folder = mkdtempSync(join(tmpdir(), 'studio-incident-'));
  const [{ documents }, adverts] = await Promise.all([loadDocuments(exampleResumes), loadAdverts()]);
  const model = await watchModel(options.seed, options.speed);
  const post = await openPost(model.brake);
  const mail = await watchMail(join(folder, 'studio', 'outbox.jsonl'), join(folder, 'mail.secret'));
  const title = (text: string): void => checks.say(`\n# ${((Date.now() - began) / 1_000).toFixed(0)} s: ${text}`);
  const { source, store, seed, processes } = options;
  const many = `${processes > 1 ? `, in ${processes} processes` : ''}${store === 'folder' ? '' : `, state in ${store}`}`;
  checks.say(`# an incident, seed ${seed}, switches in ${source}${many}, in ${folder}`);
  let scene: Scene | undefined;
  let state: IncidentState | undefined;
  try {
    state = await openState(store, join(folder, 'state'));
    const switches =
      source === 'file' ? fileSwitches(join(folder, 'studio', 'switches.flagd.json')) : await vendorSwitches(source);
    scene = new Scene({
      checks,
      seed,
      folder,
      documents,
      adverts,
      model,
      postUrl: post.url,
      mailEnv: mail.env,
      switches,
      state,
      store,
      processes,
    });
    const letters = holdLetters(scene);
    const inDelivery = letters.map(({ conversation }) => conversation);
    const caught = holdLetterToStop(scene);
    scene.startFleet(documentsAtFirst);
    await scene.open();
    switches.remember();
    title('1. engage feature batch-scoring');
    await engageFeature(scene);
    title('2. engage user u-ann');
    await engageUser(scene);
    if (processes > 1) {
      title('a worker dies in the middle of a stop');
      await killWorkerInStop(scene);
    }
    title('3. engage instance for one session');
    const terminated = [await engageInstance(scene, [...inDelivery, caught.conversation]), caught.conversation];
    title('3, in the middle of a letter');
    await terminateInDelivery(scene, mail, caught, letters[0]!);
    title('3, a slip of the hand: the whole instance flag on');
    await engageEverybodysInstance(scene, inDelivery);
    title('a crash in full flight, with letters on their way');
    await crashInDelivery(scene, letters);
    title('4. engage global');
    await engageGlobal(scene);
    title('5. kill -9, and start again');
    await restartWithoutFlags(scene);
    title('6. release');
    await releaseAll(scene, letters, terminated);
  } catch (error) {
    checks.check('the incident runs to its end', false, error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    if (scene?.fleet && scene.fleet.ended() === undefined) await scene.fleet.kill('SIGKILL');
    await scene?.switches.close();
    await state?.close();
    await mail.close();
    await post.close();
    await model.close();
  }
  checks.say(`\n# ${((Date.now() - began) / 1_000).toFixed(0)} s; what it left is in ${folder}, unless all is well`);
  const isClean = checks.close();
  if (isClean) rmSync(folder, { recursive: true, force: true });
  else writeFileSync(join(folder, 'fleet.log'), scene?.fleet?.printed() ?? '');
  return isClean ? 0 : 1;
}
