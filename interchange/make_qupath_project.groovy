/*
 * Makes a QuPath project of the slides that Fibrovol measured: an entry per slide, with the tissue and
 * the collagen as annotations of these classes. Written for QuPath 0.5 and newer.
 *
 * In QuPath: Automate > Script editor, open this file, Run. Without a window:
 *     QuPath script make_qupath_project.groovy
 * If you moved the folder, give its new place: --args "/path/to/folder". slides.json has the place of
 * each slide: correct it there if slides were moved.
 */
import com.google.gson.JsonParser
import java.awt.image.BufferedImage
import qupath.lib.images.ImageData
import qupath.lib.images.servers.ImageServerProvider
import qupath.lib.io.PathIO
import qupath.lib.objects.classes.PathClass
import qupath.lib.projects.Projects

def given = binding.hasVariable('args') ? binding.getVariable('args') : null
def folder = new File(given ? given[0] : '@FOLDER@')
def slides = JsonParser.parseString(new File(folder, 'slides.json').getText('UTF-8')).getAsJsonArray()
def place = new File(folder, 'project')
if (place.exists())
    throw new IOException("${place} is there already. Move it away, then run the script again.")
place.mkdirs()
def project = Projects.createProject(place, BufferedImage)
project.setPathClasses(['Tissue', 'Collagen'].collect { PathClass.fromString(it) })
def problems = []

for (one in slides) {
    def name = one.get('name').getAsString()
    def slide = new File(one.get('slide').getAsString())
    def objects = PathIO.readObjects(new File(folder, one.get('geojson').getAsString()).toPath())
    if (!slide.isFile()) {
        problems << "${name}: no slide at '${slide}'. Correct its place in slides.json."
        continue
    }
    def support = ImageServerProvider.getPreferredUriImageSupport(BufferedImage, slide.toURI().toString())
    def builders = support == null ? [] : support.getBuilders()
    if (builders.size() != 1) {
        problems << "${name}: QuPath finds ${builders.size()} images in ${slide}. Add the right one by hand, "
        problems << "    then drag ${one.get('geojson').getAsString()} onto it."
        continue
    }
    def entry = project.addImage(builders[0])
    entry.setImageName(name)
    for (key in ['subject', 'timepoint', 'stain', 'caf_percent'])
        if (one.has(key))
            entry.putMetadataValue(key, one.get(key).getAsString())
    def image = entry.readImageData()
    def server = image.getServer()
    def fits = objects.every {
        def roi = it.getROI()
        roi.getBoundsX() + roi.getBoundsWidth() <= server.getWidth() + 1 &&
            roi.getBoundsY() + roi.getBoundsHeight() <= server.getHeight() + 1
    }
    if (fits) {
        image.setImageType(ImageData.ImageType.BRIGHTFIELD_OTHER)
        image.getHierarchy().addObjects(objects)
        entry.saveImageData(image)
    } else {
        project.removeImage(entry, true)
        problems << "${name}: the outlines do not fit on ${slide}. It is not the slide that was measured."
    }
    server.close()
}
project.syncChanges()
println "${project.getImageList().size()} of ${slides.size()} slides are in ${place}"
problems.each { println it }
