// Runs the two functions of seed 003 as printed: reads {functions, calls, url, token} as JSON from stdin, where
// `calls` is a list of [name, ...arguments], and prints the results and what was sent.
// The wrapper around fetch supplies the address and the token, which the page leaves to its reader, and nothing else.
import { text } from 'node:stream/consumers';
import vm from 'node:vm';

const { functions, calls, url, token } = JSON.parse(await text(process.stdin));
const requests = [];

async function fetchFromHub(path, init = {}) {
  const headers = { ...init.headers, Authorization: `Bearer ${token}` };
  const request = new Request(url + path, { ...init, headers });
  requests.push({ method: request.method, path, type: request.headers.get('content-type') });
  return fetch(request);
}

const page = vm.createContext({ fetch: fetchFromHub, JSON });
vm.runInContext(functions, page);
const results = [];
for (const [name, ...parameters] of calls) results.push(await page[name](...parameters));
process.stdout.write(JSON.stringify({ results, requests }));
