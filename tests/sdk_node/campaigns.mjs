// Drives every method of the official SDK's campaigns client, both generations, against RINGFOLD_URL; prints what came back as JSON.
import assert from "node:assert/strict";
import { VapiClient, VapiError } from "@vapi-ai/server-sdk";

const baseUrl = process.env.RINGFOLD_URL;
const { campaigns } = new VapiClient({ token: process.env.RINGFOLD_KEY, baseUrl });
const others = new VapiClient({ token: process.env.OTHER_KEY, baseUrl }).campaigns;

const called = new Set();
const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(campaigns)).filter((name) => /^campaignController/.test(name));
const client = Object.fromEntries(
  methods.map((name) => [name, (...given) => (called.add(name), campaigns[name](...given))]),
);
const customers = [{ number: "+14155550100", name: "Ann" }, { number: "+14155550101" }];
const spec = { name: "Spring", assistantId: "a-1", phoneNumberId: "p-1", schedulePlan: { earliestAt: "2035-01-01T00:00:00Z" }, customers };

async function refused(status, asked) {
  await assert.rejects(asked, (error) => error instanceof VapiError && error.statusCode === status);
}

async function firstGeneration() {
  const created = await client.campaignControllerCreate(spec);
  assert.deepEqual([created.status, created.callsCounterScheduled, Object.keys(created.calls).length], ["scheduled", 2, 2]);
  assert.deepEqual(created.customers, customers);
  assert.deepEqual(await client.campaignControllerFindOne({ id: created.id }), created);
  assert.equal((await client.campaignControllerUpdate({ id: created.id, body: { name: "Summer" } })).name, "Summer");
  const page = await client.campaignControllerFindAll({ limit: 10, page: 1, createdAtGe: created.createdAt });
  assert.deepEqual([page.results.map((campaign) => campaign.id), page.metadata.totalItems], [[created.id], 1]);
  const stopped = await client.campaignControllerUpdate({ id: created.id, body: { status: "ended" } });
  assert.deepEqual([stopped.status, stopped.endedReason], ["ended", "campaign.scheduled.ended-by-user"]);
  await refused(404, others.campaignControllerFindOne({ id: created.id }));
  await refused(400, campaigns.campaignControllerCreate({ ...spec, assistantId: undefined }));
  assert.equal((await client.campaignControllerRemove({ id: created.id })).status, "ended");
  await refused(404, campaigns.campaignControllerFindOne({ id: created.id }));
}

async function secondGeneration() {
  const created = await client.campaignControllerCreateV2(spec);
  assert.deepEqual(created.customers, customers);
  const summary = await client.campaignControllerFindOneV2({ id: created.id, includeCounters: true });
  assert.deepEqual([summary.contactCounters.pending, summary.callMetrics.dialed], [2, 0]);
  const page = await client.campaignControllerFindAllV2({ limit: 10 });
  assert.deepEqual(page.results.map((campaign) => campaign.id), [created.id]);
  const contacts = await client.campaignControllerGetCampaignV2Contacts({
    id: created.id,
    status: ["contact.pending", "contact.failed"],
    limit: 1,
  });
  assert.deepEqual([contacts.results[0].number, contacts.metadata.totalItems], ["+14155550100", 2]);
  const copy = await client.campaignControllerCreateV2({ name: "Copy", duplicateFromCampaignId: created.id });
  assert.deepEqual(copy.customers, customers);
  assert.equal((await client.campaignControllerUpdateV2({ id: created.id, body: { status: "cancelled" } })).status, "cancelled");
  await refused(404, others.campaignControllerFindOneV2({ id: created.id }));
  assert.equal((await client.campaignControllerRemoveV2({ id: created.id })).status, "archived");
}

await firstGeneration();
await secondGeneration();
console.log(JSON.stringify({ called: [...called].sort(), methods: methods.sort() }));
