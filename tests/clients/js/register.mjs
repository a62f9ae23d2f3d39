// Loads the hooks of resolver.mjs; PACKAGES is the directory whose node_modules holds the client.
import { register } from 'node:module';
import { pathToFileURL } from 'node:url';

register('./resolver.mjs', import.meta.url, { data: pathToFileURL(`${process.env.PACKAGES}/`).href });
