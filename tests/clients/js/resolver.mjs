// npm `@qelos/sdk` is made for bundlers: its files are ES modules with imports like './base-sdk', which plain Node
// cannot find, and its package.json does not say `"type": "module"`. These hooks say both; no file is changed.
import { readFile } from 'node:fs/promises';

const CLIENT = '/node_modules/@qelos/';
let packages = '';

export function initialize(home) {
  packages = home;
}

export async function resolve(specifier, context, next) {
  if (specifier.startsWith('@qelos/')) {
    return next(specifier, { ...context, parentURL: packages });
  }
  if (specifier.startsWith('.') && context.parentURL?.includes(CLIENT)) {
    for (const ending of ['', '.js', '/index.js']) {
      try {
        const found = await next(specifier + ending, context);
        if (found.url.endsWith('.js')) return found;
      } catch (error) {
        if (!['ERR_MODULE_NOT_FOUND', 'ERR_UNSUPPORTED_DIR_IMPORT'].includes(error.code)) throw error;
      }
    }
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  if (url.includes(CLIENT) && url.endsWith('.js')) {
    return { format: 'module', source: await readFile(new URL(url)), shortCircuit: true };
  }
  return next(url, context);
}
