// Runs mailauth's authenticate() over messages given as JSON on stdin, and answers with JSON on stdout.
//
// In:  {"module": path of mailauth, "rounds": n, "warm_up": n, "session": {ip, helo, sender, mta},
//       "zone": {"name": {"TXT": [..], "MX": [..]}}, "messages": [base64, ...]}
// Out: {"version", "node", "microseconds": median of one message, "passed": [domain that DMARC passed for, or null]}
// The zone is in memory; nothing else is kept between messages but what mailauth keeps by itself.
import { createRequire } from 'node:module';
import process from 'node:process';

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const job = JSON.parse(Buffer.concat(chunks).toString());
const require = createRequire(import.meta.url);
const { authenticate } = require(job.module);

const resolver = async (name, type) => {
    const found = job.zone[name.toLowerCase().replace(/\.$/, '')]?.[type];
    if (!found) throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
    if (type === 'TXT') return found.map(text => [text]);
    if (type !== 'MX') return found;
    return found.map(text => ({ priority: Number(text.split(' ')[0]), exchange: text.split(' ')[1] }));
};
const one = async raw => {
    const { dmarc } = await authenticate(raw, { ...job.session, trustReceived: false, disableBimi: true, resolver });
    return dmarc && dmarc.status.result === 'pass' ? dmarc.status.header.from : null;
};
const messages = job.messages.map(text => Buffer.from(text, 'base64'));
for (let n = 0; n < job.warm_up; n++) await one(messages[n % messages.length]);
const times = [];
let passed = [];
for (let round = 0; round < job.rounds; round++) {
    passed = [];
    for (const raw of messages) {
        const started = process.hrtime.bigint();
        passed.push(await one(raw));
        times.push(Number(process.hrtime.bigint() - started) / 1000);
    }
}
times.sort((a, b) => a - b);
const { version } = require(job.module + '/package.json');
console.log(JSON.stringify({ version, node: process.version, microseconds: times[times.length >> 1], passed }));
