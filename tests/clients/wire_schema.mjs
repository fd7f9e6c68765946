// SPDX-License-Identifier: MIT
// The official JSON schemas of the protocol, and a judge of one conversation: each request, notification and result is
// held against the definition that its method and revision name.
import { readFileSync } from 'node:fs';
import Ajv from 'ajv';
import Ajv2020 from 'ajv/dist/2020.js';

const stateless = '2026-07-28';
const metaVersion = 'io.modelcontextprotocol/protocolVersion';

const requests = {
  initialize: 'Initialize', ping: 'Ping', 'tools/list': 'ListTools', 'tools/call': 'CallTool',
  'resources/list': 'ListResources', 'resources/templates/list': 'ListResourceTemplates',
  'resources/read': 'ReadResource', 'resources/subscribe': 'Subscribe', 'resources/unsubscribe': 'Unsubscribe',
  'prompts/list': 'ListPrompts', 'prompts/get': 'GetPrompt', 'completion/complete': 'Complete',
  'logging/setLevel': 'SetLevel', 'server/discover': 'Discover', 'subscriptions/listen': 'SubscriptionsListen',
  'elicitation/create': 'Elicit', 'sampling/createMessage': 'CreateMessage', 'roots/list': 'ListRoots',
};
const notifications = {
  'notifications/initialized': 'Initialized', 'notifications/cancelled': 'Cancelled',
  'notifications/progress': 'Progress', 'notifications/message': 'LoggingMessage',
  'notifications/resources/updated': 'ResourceUpdated', 'notifications/resources/list_changed': 'ResourceListChanged',
  'notifications/tools/list_changed': 'ToolListChanged', 'notifications/prompts/list_changed': 'PromptListChanged',
  'notifications/roots/list_changed': 'RootsListChanged',
  'notifications/subscriptions/acknowledged': 'SubscriptionsAcknowledged',
};
// Extensions have no official JSON schema; their messages are held against the generic definitions, and the entries of
// skills against the TypeScript of SEP-2640, written as a schema here.
const ofExtension = new Set(['tasks/get', 'tasks/update', 'tasks/cancel', 'skills/list', 'skills/get']);
const skill = {
  type: 'object', required: ['uri', 'frontmatter', 'resources'], additionalProperties: false,
  properties: {
    uri: { type: 'string', pattern: '/SKILL\\.md$' },
    frontmatter: { type: 'object', required: ['name', 'description'] },
    resources: { type: 'array', minItems: 1, maxItems: 512, items: {
      type: 'object', required: ['uri', 'digest', 'size'], additionalProperties: false,
      properties: { uri: { type: 'string' }, digest: { pattern: '^sha256:[0-9a-f]{64}$' }, size: { type: 'integer', minimum: 0 } } } },
  },
};
const cacheable = { resultType: { const: 'complete' }, ttlMs: { type: 'integer' }, cacheScope: { enum: ['public', 'private'] } };
const skillResults = new Map(Object.entries({
  'skills/list': { required: ['skills', 'resultType', 'ttlMs', 'cacheScope'], properties: { skills: { items: skill }, ...cacheable } },
  'skills/get': { required: ['skill', 'resultType', 'ttlMs', 'cacheScope'], properties: { skill, ...cacheable } },
}).map(([method, schema]) => [method, new Ajv2020({ strict: false }).compile({ type: 'object', ...schema })]));

function load(revision) {
  const schema = JSON.parse(readFileSync(new URL(`../server/mcp/schemas/schema-${revision}.json`, import.meta.url)));
  const AjvOf = schema.$defs ? Ajv2020 : Ajv;
  const ajv = new AjvOf({ strict: false, validateFormats: false, allErrors: false });
  ajv.addSchema(schema, 'mcp');
  return (name) => ajv.getSchema(`mcp#/${schema.$defs ? '$defs' : 'definitions'}/${name}`);
}

const loaded = new Map();
function definition(revision, name) {
  if (!loaded.has(revision)) loaded.set(revision, load(revision));
  return loaded.get(revision)(name);
}
const known = new Set(['2025-06-18', '2025-11-25', stateless]);

export class WireJudge {
  constructor(revision = '2025-11-25') {
    this.revision = revision;  // of messages that do not say; initialize settles it
    this.asked = { client: new Map(), server: new Map() };  // id -> requests with it
    this.responses = [];
    this.judged = 0;
    this.problems = [];
    this.methods = new Set();
  }

  see(from, message) {
    if (message.method !== undefined && message.id !== undefined) {
      const key = JSON.stringify(message.id);
      const request = { message, revision: this.revisionOf(message) };
      this.asked[from].set(key, [...(this.asked[from].get(key) ?? []), request]);
      if (from === 'server') this.judgeRequest(from, request);
    } else if (message.method !== undefined) {
      this.judgeNotification(from, message);
    } else {
      if (message.result?.protocolVersion && known.has(message.result.protocolVersion)) this.revision = message.result.protocolVersion;
      this.responses.push({ from, message });
    }
  }

  // Once all was seen. What the server sent is always judged; what a client asked, if it was not answered with an
  // error: tests send wrong messages on purpose.
  finish() {
    for (const { from, message } of this.responses) this.judgeResponse(from, message);
    return this.problems;
  }

  revisionOf(message) {
    const claimed = message.params?._meta?.[metaVersion];
    return known.has(claimed) ? claimed : this.revision;
  }

  // What is wrong with the value; nothing if it fits.
  misfit(revision, name, value) {
    const validate = definition(revision, name);
    if (!validate) return `${revision} has no definition ${name}`;
    if (validate(value)) return undefined;
    const error = validate.errors[0];
    return `no ${name} of ${revision}: ${error.instancePath} ${error.message}: ${JSON.stringify(value).slice(0, 300)}`;
  }

  hold(revision, name, value, what) {
    this.judged += 1;
    const wrong = this.misfit(revision, name, value);
    if (wrong) this.problems.push(`${what}: ${wrong}`);
  }

  judgeRequest(from, { message, revision }) {
    this.methods.add(`${revision} ${message.method}`);
    const name = requests[message.method] ? `${requests[message.method]}Request` : 'JSONRPCRequest';
    if (!requests[message.method] && !ofExtension.has(message.method)) this.problems.push(`${from} sent the unknown method ${message.method}`);
    this.hold(revision, name, message, `${from}'s ${message.method}`);
  }

  judgeNotification(from, message) {
    const tagged = message.params?._meta?.['io.modelcontextprotocol/subscriptionId'] !== undefined;
    const revision = tagged ? stateless : this.revisionOf(message);
    const name = notifications[message.method];
    if (name) this.hold(revision, `${name}Notification`, message, `${from}'s ${message.method}`);
    else if (message.method === 'notifications/tasks') this.hold(revision, 'JSONRPCNotification', message, message.method);
    else if (from === 'server') this.problems.push(`the server sent the unknown notification ${message.method}`);
  }

  judgeResponse(from, message) {
    const asker = from === 'server' ? 'client' : 'server';
    const candidates = this.asked[asker].get(JSON.stringify(message.id)) ?? [];
    if (message.error !== undefined) {
      if (from === 'server') this.hold('2025-11-25', 'JSONRPCErrorResponse', message, 'an error');
      return;
    }
    if (candidates.length === 0) {
      if (from === 'server') this.problems.push(`a result for the id ${message.id} that nobody asked`);
      return;
    }
    // Several clients of one server may use the same id: the result belongs to the one that it fits.
    const fitting = candidates.find((one) => !this.misfit(one.revision, resultName(one, message.result), message.result)) ?? candidates[0];
    if (asker === 'client') this.judgeRequest(asker, fitting);
    this.hold(fitting.revision, resultName(fitting, message.result), message.result, `the result of ${fitting.message.method}`);
    const ofSkills = skillResults.get(fitting.message.method);
    if (ofSkills && !ofSkills(message.result))
      this.problems.push(`the result of ${fitting.message.method}: ${ofSkills.errors[0].instancePath} ${ofSkills.errors[0].message}`);
    this.hold(fitting.revision, 'JSONRPCResponse', message, `the response to ${fitting.message.method}`);
  }
}

function resultName({ message: { method } }, result) {
  if (result.resultType === 'input_required') return 'InputRequiredResult';
  if (result.resultType === 'task' || ofExtension.has(method)) return 'Result';
  if (['ping', 'resources/subscribe', 'resources/unsubscribe', 'logging/setLevel'].includes(method)) return 'EmptyResult';
  return `${requests[method]}Result`;
}

// Lets the judge see everything that an SDK client's transport carries.
export function watched(transport, judge) {
  const send = transport.send.bind(transport);
  transport.send = (message, options) => {
    for (const one of Array.isArray(message) ? message : [message]) judge.see('client', one);
    return send(message, options);
  };
  let listener;
  Object.defineProperty(transport, 'onmessage', {
    configurable: true,
    get: () => listener,
    set: (given) => {
      listener = given && ((message, extra) => {
        judge.see('server', message);
        given(message, extra);
      });
    },
  });
  return transport;
}
