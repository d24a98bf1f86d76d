#!/usr/bin/env node
// The command is built from src/cli; in a fresh checkout it is not there yet.
import { existsSync } from 'node:fs';

const program = new URL('../dist/cli/main.js', import.meta.url);
if (existsSync(program)) {
  const { main, processIo } = await import(program.href);
  // Whoever reads us may close the pipe (`| head`): that is no error of ours, and no reason to leave a stop half made.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error) => {
      if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
    });
  }
  process.exitCode = await main(process.argv.slice(2), processIo());
} else {
  process.stderr.write(
    'offswitch: the command is not built yet; run "npm run build" in the checkout, or reinstall the package\n',
  );
  process.exitCode = 1;
}
