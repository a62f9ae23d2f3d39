// Runs one scenario: reads {scenario, way, hub} as JSON from stdin, prints what the scenario returns as JSON.
import { text } from 'node:stream/consumers';
import * as accounts from './scenarios/accounts.mjs';
import * as chat from './scenarios/chat.mjs';
import * as threads from './scenarios/threads.mjs';
import { open } from './ways.mjs';

const scenarios = { ...accounts, ...chat, ...threads };
const { scenario, way, hub } = JSON.parse(await text(process.stdin));
const result = await scenarios[scenario](await open(hub, way), hub);
process.stdout.write(JSON.stringify(result));
