// What tests/clients/openapi_typescript checks.
import { createProject, createTask, getProject, listTasks, updateTask } from "./client";
import { client } from "./client/client.gen";

declare const process: { env: Record<string, string | undefined>; exitCode: number };

client.setConfig({ baseUrl: process.env.ORQIT_URL!, auth: process.env.ORQIT_API_KEY! });

function assert(holds: boolean, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

const checks: Record<string, () => Promise<void>> = {
  async "tells the life of a project"() {
    const made = await createProject({ body: { key: "TYPED", name: "Types" } });
    assert(made.data?.data.status === "PLANNED", made.error);
    for (const title of ["Write", "Check"]) {
      const task = await createTask({ path: { id: "TYPED" }, body: { title, priority: "HIGH" } });
      assert(task.data !== undefined, task.error);
    }
    const done = await updateTask({ path: { taskId: "TYPED-1" }, body: { status: "DONE" } });
    assert(typeof done.data?.data.completedAt === "string", done.error);
    const left = await listTasks({ path: { id: "TYPED" }, query: { status: ["TODO", "IN_PROGRESS"] } });
    assert(left.data?.meta.totalCount === 1, left.error ?? left.data);
    const project = await getProject({ path: { id: "TYPED" } });
    assert(project.data?.data.taskCounts?.done === 1, project.error);
  },
  async "is told which fields are wrong"() {
    const refused = await createProject({ body: { key: "wrong", name: "Types" } });
    assert(refused.error?.error.code === "VALIDATION_FAILED", refused);
    assert(refused.error.error.details?.[0]?.field === "key", refused.error);
  },
};

async function main() {
  for (const [name, works] of Object.entries(checks)) {
    try {
      await works();
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(`FAILED ${name}: ${error}`);
    }
  }
}

void main();
