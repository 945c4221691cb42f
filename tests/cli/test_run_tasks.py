"""`kelp run` against a real bridge: what would be done, then done."""

from tests.support.quadrats import SIDE, photographs, source


def test_quadrats_are_cropped_after_a_look_at_what_would_be_done(kelp, cvat):
    with source(cvat, photographs(2)) as made:
        made.mark(0)
        crop = ("run", "crop", "--task", made.id, "--to", made.target, "--size", SIDE)
        look = kelp(*crop, "--dry-run")
        assert look.returncode == 1
        assert "1 of 2 frames cannot be used: frame 1 (quadrat_9.jpg): no quadrat" in look.stderr
        assert look.stdout.splitlines()[2].split() == ["1", "quadrat_9.jpg", "no", "quadrat"]
        assert made.made() == []
        done = kelp(*crop, "--skip-invalid", "--follow")
        task = made.the_made()["id"]
        assert done.returncode == 1  # not all of it was done
        assert f"1 frames, task {task} in project {made.target}, 1 frames set aside" in done.stderr
        listed = kelp("runs", "list", "--task", made.id).stdout
        assert "crop" in listed
        assert f"task {made.id} → {task}" in listed
        again = kelp(*crop, "--follow")
        assert (again.returncode, f"task {task} exists" in again.stderr) == (0, True)
        same = kelp(*crop, "--skip-invalid")
        assert same.returncode == 0
        assert "is completed with errors already; --again does it anew" in same.stderr
