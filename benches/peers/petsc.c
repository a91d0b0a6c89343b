/* A star stencil on PETSc's distributed arrays (DMDA), one thread a rank, slabs along the slowest axis, zeros beyond the
 * walls. --form global is the way of PETSc's own examples: ghost points come with a copy of all cells from a global vector to a
 * local one. --form local keeps local vectors only, and exchanges their ghost points in place. Real double numbers. */
#include <petscdmda.h>
#define WITH_MPI
#include "peer.h"

/* One step of the cells of this rank: c is a local array with ghost points, `out` a local or a global one. `to` and `from` are
 * their first cells and strides. */
struct place {
    PetscScalar *first;
    long sy, sz;
};

static void step(struct place from, struct place to, long nx, long ny, long nz)
{
    for (long z = 0; z < nz; z++)
        for (long y = 0; y < ny; y++) {
            const PetscScalar *restrict c = from.first + z * from.sz + y * from.sy;
            PetscScalar *restrict out = to.first + z * to.sz + y * to.sy;
            const long sy = from.sy, sz = from.sz;
#pragma GCC ivdep
            for (long i = 0; i < nx; i++) {
                if (DIM == 3)
                    out[i] = 0.25 * c[i] + 0.125 * ((c[i - 1] + c[i + 1]) + (c[i - sy] + c[i + sy]) + (c[i - sz] + c[i + sz]));
                else
                    out[i] = 0.5 * c[i] + 0.125 * ((c[i - 1] + c[i + 1]) + (c[i - sy] + c[i + sy]));
            }
        }
}

/* Where the cells of this rank begin in an array of a local vector, or of a global one. */
static struct place place(PetscScalar *array, DMDALocalInfo *box, int ghosts)
{
    if (!ghosts)
        return (struct place){array, box->xm, (long)box->xm * box->ym};
    long sy = box->gxm, sz = sy * box->gym;
    long z = DIM == 3 ? (box->zs - box->gzs) * sz : 0;
    return (struct place){array + z + (box->ys - box->gys) * sy + (box->xs - box->gxs), sy, sz};
}

static PetscErrorCode run(int argc, char **argv)
{
    long n = atol(option(argc, argv, "cells", "256")), steps = atol(option(argc, argv, "steps", "16"));
    int batches = atoi(option(argc, argv, "batches", "3"));
    int local = !strcmp(option(argc, argv, "form", "global"), "local");
    const char *check = option(argc, argv, "check", NULL);
    DM grid;
    DMDALocalInfo box;
    Vec u[2], ghosted;
    const DMBoundaryType wall = DM_BOUNDARY_GHOSTED;

    PetscFunctionBeginUser;
    if (DIM == 3)
        PetscCall(DMDACreate3d(PETSC_COMM_WORLD, wall, wall, wall, DMDA_STENCIL_STAR, n, n, n, 1, 1, PETSC_DECIDE, 1, R, NULL,
                               NULL, NULL, &grid));
    else
        PetscCall(DMDACreate2d(PETSC_COMM_WORLD, wall, wall, DMDA_STENCIL_STAR, n, n, 1, PETSC_DECIDE, 1, R, NULL, NULL, &grid));
    PetscCall(DMSetUp(grid));
    PetscCall(DMDAGetLocalInfo(grid, &box));
    const long nz = DIM == 3 ? box.zm : 1, zs = DIM == 3 ? box.zs : 0;
    PetscCall(DMCreateLocalVector(grid, &ghosted)); /* zero, also beyond the walls */
    for (int k = 0; k < 2; k++) {
        PetscScalar *array;
        PetscCall(local ? DMCreateLocalVector(grid, &u[k]) : DMCreateGlobalVector(grid, &u[k]));
        PetscCall(VecSet(u[k], 0.0));
        PetscCall(VecGetArray(u[k], &array));
        struct place at = place(array, &box, local);
        for (long z = 0; z < nz; z++)
            for (long y = 0; y < box.ym; y++)
                for (long x = 0; x < box.xm; x++)
                    at.first[z * at.sz + y * at.sy + x] = start(box.xs + x, box.ys + y, zs + z);
        PetscCall(VecRestoreArray(u[k], &array));
    }
    double *rates = malloc((batches + 1) * sizeof *rates);
    for (int batch = 0; batch < (check ? 1 : batches + 1); batch++) {
        meet();
        double begin = now();
        for (long k = 0; k < steps; k++) {
            Vec from = local ? u[0] : ghosted;
            PetscScalar *in, *out;
            if (local) {
                PetscCall(DMLocalToLocalBegin(grid, u[0], INSERT_VALUES, u[0]));
                PetscCall(DMLocalToLocalEnd(grid, u[0], INSERT_VALUES, u[0]));
            } else {
                PetscCall(DMGlobalToLocalBegin(grid, u[0], INSERT_VALUES, ghosted));
                PetscCall(DMGlobalToLocalEnd(grid, u[0], INSERT_VALUES, ghosted));
            }
            PetscCall(VecGetArrayRead(from, (const PetscScalar **)&in));
            PetscCall(VecGetArrayWrite(u[1], &out));
            step(place(in, &box, 1), place(out, &box, local), box.xm, box.ym, nz);
            PetscCall(VecRestoreArrayWrite(u[1], &out));
            PetscCall(VecRestoreArrayRead(from, (const PetscScalar **)&in));
            Vec swap = u[0];
            u[0] = u[1], u[1] = swap;
        }
        meet();
        rates[batch] = (double)n * n * (DIM == 3 ? n : 1) * steps / (now() - begin);
    }
    if (check) {
        PetscScalar *array;
        int file = check_file(check);
        PetscCall(VecGetArray(u[0], &array));
        struct place at = place(array, &box, local);
        for (long z = 0; z < nz; z++)
            for (long y = 0; y < box.ym; y++)
                check_row(file, at.first + z * at.sz + y * at.sy, box.xm, ((zs + z) * n + box.ys + y) * n + box.xs);
        PetscCall(VecRestoreArray(u[0], &array));
        close(file);
    } else {
        char version[64];
        snprintf(version, sizeof version, "PETSc %d.%d.%d", PETSC_VERSION_MAJOR, PETSC_VERSION_MINOR, PETSC_VERSION_SUBMINOR);
        print(version, rates + 1, batches, copy_rate(), 1);
    }
    free(rates);
    for (int k = 0; k < 2; k++)
        PetscCall(VecDestroy(&u[k]));
    PetscCall(VecDestroy(&ghosted));
    PetscCall(DMDestroy(&grid));
    PetscFunctionReturn(0);
}

int main(int argc, char **argv)
{
    PetscCall(PetscInitialize(NULL, NULL, NULL, NULL));
    MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
    MPI_Comm_size(PETSC_COMM_WORLD, &ranks);
    PetscCall(run(argc, argv));
    return PetscFinalize();
}
